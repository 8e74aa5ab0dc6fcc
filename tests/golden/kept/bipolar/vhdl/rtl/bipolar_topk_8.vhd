-- argmax `topk_8` of bipolar
library ieee;
use ieee.std_logic_1164.all;
use ieee.numeric_std.all;

entity bipolar_topk_8 is
  port (
    clk : in  std_logic;
    from_argmax_7 : in  unsigned(66 downto 0);
    result : out unsigned(2 downto 0));
end entity bipolar_topk_8;

architecture rtl of bipolar_topk_8 is
  signal argmax_7_n0_r1 : unsigned(4 downto 0);
  signal argmax_7_n1_r1 : unsigned(5 downto 0);
  signal argmax_7_n2_r1 : unsigned(5 downto 0);
  signal argmax_7_n3_r1 : unsigned(5 downto 0);
  signal argmax_7_n4_r1 : unsigned(5 downto 0);
  signal argmax_7_y0 : unsigned(2 downto 0);
  signal argmax_7_y0_r1 : unsigned(2 downto 0);
  signal n0 : std_logic;
  signal n0_r1 : std_logic;
  signal n1 : unsigned(5 downto 0);
  signal n2 : std_logic;
  signal n2_r1 : std_logic;
  signal n3 : unsigned(5 downto 0);
  signal n4 : std_logic;
  signal n4_r1 : std_logic;
  signal n5 : unsigned(5 downto 0);
  signal n6 : std_logic;
  signal n6_r1 : std_logic;
  signal n7 : unsigned(5 downto 0);
  signal n8 : std_logic;
  signal n9 : unsigned(5 downto 0);
  signal n10 : std_logic;
  signal n11 : unsigned(5 downto 0);
  signal n12 : std_logic;
  signal n13 : std_logic;
  signal n14 : unsigned(5 downto 0);
  signal n15 : unsigned(1 downto 0);
  signal n16 : std_logic;
  signal n17 : unsigned(5 downto 0);
  signal n18 : unsigned(1 downto 0);
  signal n19 : std_logic;
  signal y1 : unsigned(2 downto 0);
  signal y1_r1 : unsigned(2 downto 0);
begin
  argmax_7_n0_r1 <= from_argmax_7(4 downto 0);
  argmax_7_n1_r1 <= from_argmax_7(15 downto 10);
  argmax_7_n2_r1 <= from_argmax_7(27 downto 22);
  argmax_7_n3_r1 <= from_argmax_7(39 downto 34);
  argmax_7_n4_r1 <= from_argmax_7(51 downto 46);
  argmax_7_y0 <= from_argmax_7(60 downto 58);
  argmax_7_y0_r1 <= from_argmax_7(63 downto 61);
  n0 <= '1' when argmax_7_y0 = "000" else '0';
  n1 <= "101100" when n0_r1 = '1' else argmax_7_n0_r1(4) & argmax_7_n0_r1;
  n2 <= '1' when argmax_7_y0 = "001" else '0';
  n3 <= "101100" when n2_r1 = '1' else argmax_7_n1_r1;
  n4 <= '1' when argmax_7_y0 = "010" else '0';
  n5 <= "101100" when n4_r1 = '1' else argmax_7_n2_r1;
  n6 <= '1' when argmax_7_y0 = "011" else '0';
  n7 <= "101100" when n6_r1 = '1' else argmax_7_n3_r1;
  n8 <= '1' when argmax_7_y0_r1 = "100" else '0';
  n9 <= "101100" when n8 = '1' else argmax_7_n4_r1;
  n10 <= '1' when signed(n1) >= signed(n3) else '0';
  n11 <= n1 when n10 = '1' else n3;
  n12 <= not n10;
  n13 <= '1' when signed(n5) >= signed(n7) else '0';
  n14 <= n5 when n13 = '1' else n7;
  n15 <= "10" when n13 = '1' else "11";
  n16 <= '1' when signed(n11) >= signed(n14) else '0';
  n17 <= n11 when n16 = '1' else n14;
  n18 <= '0' & n12 when n16 = '1' else n15;
  n19 <= '1' when signed(n17) >= signed(n9) else '0';
  y1 <= '0' & n18 when n19 = '1' else "100";
  result <= y1_r1;

  process (clk)
  begin
    if rising_edge(clk) then
      n0_r1 <= n0;
      n2_r1 <= n2;
      n4_r1 <= n4;
      n6_r1 <= n6;
      y1_r1 <= y1;
    end if;
  end process;

end architecture rtl;
