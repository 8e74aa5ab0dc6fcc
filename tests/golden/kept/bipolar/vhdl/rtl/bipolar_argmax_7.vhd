-- argmax `argmax_7` of bipolar
library ieee;
use ieee.std_logic_1164.all;
use ieee.numeric_std.all;

entity bipolar_argmax_7 is
  port (
    clk : in  std_logic;
    from_matmul_6 : in  unsigned(23 downto 0);
    result : out unsigned(66 downto 0));
end entity bipolar_argmax_7;

architecture rtl of bipolar_argmax_7 is
  signal matmul_6_t21_r1 : unsigned(3 downto 0);
  signal matmul_6_t25_r1 : unsigned(4 downto 0);
  signal matmul_6_t29_r1 : unsigned(4 downto 0);
  signal matmul_6_t35_r1 : unsigned(4 downto 0);
  signal matmul_6_t38_r1 : unsigned(4 downto 0);
  signal n0 : unsigned(4 downto 0);
  signal n0_r1 : unsigned(4 downto 0);
  signal n0_r2 : unsigned(4 downto 0);
  signal n1 : unsigned(5 downto 0);
  signal n1_r1 : unsigned(5 downto 0);
  signal n1_r2 : unsigned(5 downto 0);
  signal n2 : unsigned(5 downto 0);
  signal n2_r1 : unsigned(5 downto 0);
  signal n2_r2 : unsigned(5 downto 0);
  signal n3 : unsigned(5 downto 0);
  signal n3_r1 : unsigned(5 downto 0);
  signal n3_r2 : unsigned(5 downto 0);
  signal n4 : unsigned(5 downto 0);
  signal n4_r1 : unsigned(5 downto 0);
  signal n4_r2 : unsigned(5 downto 0);
  signal n5 : std_logic;
  signal n6 : unsigned(5 downto 0);
  signal n7 : std_logic;
  signal n8 : std_logic;
  signal n9 : unsigned(5 downto 0);
  signal n10 : unsigned(1 downto 0);
  signal n11 : std_logic;
  signal n12 : unsigned(5 downto 0);
  signal n13 : unsigned(1 downto 0);
  signal n14 : std_logic;
  signal y0 : unsigned(2 downto 0);
  signal y0_r1 : unsigned(2 downto 0);
  signal y0_r2 : unsigned(2 downto 0);
begin
  matmul_6_t21_r1 <= from_matmul_6(3 downto 0);
  matmul_6_t25_r1 <= from_matmul_6(8 downto 4);
  matmul_6_t29_r1 <= from_matmul_6(13 downto 9);
  matmul_6_t35_r1 <= from_matmul_6(18 downto 14);
  matmul_6_t38_r1 <= from_matmul_6(23 downto 19);
  n0 <= matmul_6_t21_r1 & '1';
  n1 <= matmul_6_t25_r1 & '1';
  n2 <= matmul_6_t29_r1 & '0';
  n3 <= matmul_6_t35_r1 & '1';
  n4 <= matmul_6_t38_r1 & '0';
  n5 <= '1' when signed(unsigned'(n0(4) & n0)) >= signed(n1) else '0';
  n6 <= n0(4) & n0 when n5 = '1' else n1;
  n7 <= not n5;
  n8 <= '1' when signed(n2) >= signed(n3) else '0';
  n9 <= n2 when n8 = '1' else n3;
  n10 <= "10" when n8 = '1' else "11";
  n11 <= '1' when signed(n6) >= signed(n9) else '0';
  n12 <= n6 when n11 = '1' else n9;
  n13 <= '0' & n7 when n11 = '1' else n10;
  n14 <= '1' when signed(n12) >= signed(n4) else '0';
  y0 <= '0' & n13 when n14 = '1' else "100";
  result <= y0_r2 & y0_r1 & y0 & n4_r2 & n4_r1 & n3_r2 & n3_r1 & n2_r2 & n2_r1 & n1_r2 & n1_r1 & n0_r2 & n0_r1;

  process (clk)
  begin
    if rising_edge(clk) then
      n0_r1 <= n0;
      n0_r2 <= n0_r1;
      n1_r1 <= n1;
      n1_r2 <= n1_r1;
      n2_r1 <= n2;
      n2_r2 <= n2_r1;
      n3_r1 <= n3;
      n3_r2 <= n3_r1;
      n4_r1 <= n4;
      n4_r2 <= n4_r1;
      y0_r1 <= y0;
      y0_r2 <= y0_r1;
    end if;
  end process;

end architecture rtl;
