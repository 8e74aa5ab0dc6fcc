-- matvec `matmul_2` of bipolar
library ieee;
use ieee.std_logic_1164.all;
use ieee.numeric_std.all;

entity bipolar_matmul_2 is
  port (
    clk : in  std_logic;
    from_x : in  unsigned(12 downto 0);
    result : out unsigned(35 downto 0));
end entity bipolar_matmul_2;

architecture rtl of bipolar_matmul_2 is
  signal x_y0 : std_logic;
  signal x_y0_r1 : std_logic;
  signal x_y1 : std_logic;
  signal x_y1_r1 : std_logic;
  signal x_y2 : std_logic;
  signal x_y3 : std_logic;
  signal x_y4 : std_logic;
  signal x_y4_r1 : std_logic;
  signal x_y5 : std_logic;
  signal x_y5_r1 : std_logic;
  signal x_y6 : std_logic;
  signal x_y6_r1 : std_logic;
  signal x_y7 : std_logic;
  signal t8 : unsigned(1 downto 0);
  signal t9 : unsigned(1 downto 0);
  signal t10_c : unsigned(1 downto 0);
  signal t10 : unsigned(1 downto 0);
  signal t11 : unsigned(1 downto 0);
  signal t12_c : unsigned(1 downto 0);
  signal t12 : unsigned(1 downto 0);
  signal t13_c : unsigned(2 downto 0);
  signal t13 : unsigned(2 downto 0);
  signal t14_c : unsigned(3 downto 0);
  signal t14 : unsigned(3 downto 0);
  signal t15_c : unsigned(3 downto 0);
  signal t15 : unsigned(3 downto 0);
  signal t15_r1 : unsigned(3 downto 0);
  signal t16_c : unsigned(1 downto 0);
  signal t16 : unsigned(1 downto 0);
  signal t17_c : unsigned(2 downto 0);
  signal t17 : unsigned(3 downto 0);
  signal t18 : unsigned(1 downto 0);
  signal t18_r1 : unsigned(1 downto 0);
  signal t19_c : unsigned(2 downto 0);
  signal t19 : unsigned(3 downto 0);
  signal t20 : unsigned(1 downto 0);
  signal t21_c : unsigned(2 downto 0);
  signal t21 : unsigned(3 downto 0);
  signal t22 : unsigned(1 downto 0);
  signal t23_c : unsigned(2 downto 0);
  signal t23 : unsigned(3 downto 0);
  signal t24_c : unsigned(2 downto 0);
  signal t24 : unsigned(3 downto 0);
  signal t25_c : unsigned(2 downto 0);
  signal t25 : unsigned(3 downto 0);
  signal t26 : unsigned(1 downto 0);
  signal t27_c : unsigned(2 downto 0);
  signal t27 : unsigned(3 downto 0);
begin
  x_y0 <= from_x(0);
  x_y0_r1 <= from_x(1);
  x_y1 <= from_x(2);
  x_y1_r1 <= from_x(3);
  x_y2 <= from_x(4);
  x_y3 <= from_x(5);
  x_y4 <= from_x(6);
  x_y4_r1 <= from_x(7);
  x_y5 <= from_x(8);
  x_y5_r1 <= from_x(9);
  x_y6 <= from_x(10);
  x_y6_r1 <= from_x(11);
  x_y7 <= from_x(12);
  t8 <= ('0' & x_y5) + ('0' & x_y7);
  t9 <= ('0' & x_y1) + ('0' & x_y2);
  t10_c <= ('0' & x_y0) - t9;
  t10 <= t10_c(1) & (x_y0 xor t9(0));
  t11 <= ('0' & x_y4) - ('0' & x_y3);
  t12_c <= t11 - ('0' & x_y6);
  t12 <= t12_c(1) & (t11(0) xor x_y6);
  t13_c <= ('0' & t8) + (t10(1) & t10);
  t13 <= t13_c(2 downto 1) & (t8(0) xor t10(0));
  t14_c <= (unsigned'(1 downto 0 => t12(1)) & t12) + (t13(2) & t13);
  t14 <= t14_c(3 downto 1) & (t12(0) xor t13(0));
  t15_c <= (t10(1) & t10 & '0') - t14;
  t15 <= t15_c(3 downto 1) & ('0' xor t14(0));
  t16_c <= ('0' & x_y1) + t8;
  t16 <= t16_c(1) & (x_y1 xor t8(0));
  t17_c <= t15(3 downto 1) + ('0' & t16);
  t17 <= t17_c(2 downto 1) & (t15(1) xor t16(0)) & t15(0);
  t18 <= ('0' & x_y7) - ('0' & x_y0);
  t19_c <= t15_r1(3 downto 1) + (t18_r1(1) & t18_r1);
  t19 <= t19_c & t15_r1(0);
  t20 <= ('0' & x_y1_r1) + ('0' & x_y4_r1);
  t21_c <= t19(3 downto 1) + ('0' & t20);
  t21 <= t21_c(2 downto 1) & (t19(1) xor t20(0)) & t19(0);
  t22 <= ('0' & x_y1_r1) - ('0' & x_y6_r1);
  t23_c <= t19(3 downto 1) + (t22(1) & t22);
  t23 <= t23_c(2 downto 1) & (t19(1) xor t22(0)) & t19(0);
  t24_c <= ("00" & x_y5_r1) + t23(3 downto 1);
  t24 <= t24_c(2 downto 1) & (x_y5_r1 xor t23(1)) & t23(0);
  t25_c <= ("00" & x_y0_r1) + t23(3 downto 1);
  t25 <= t25_c(2 downto 1) & (x_y0_r1 xor t23(1)) & t23(0);
  t26 <= ('0' & x_y0_r1) + ('0' & x_y5_r1);
  t27_c <= t23(3 downto 1) + ('0' & t26);
  t27 <= t27_c(2 downto 1) & (t23(1) xor t26(0)) & t23(0);
  result <= t27 & t25 & t24 & t23 & t21 & t19 & t17 & t15_r1 & t14;

  process (clk)
  begin
    if rising_edge(clk) then
      t15_r1 <= t15;
      t18_r1 <= t18;
    end if;
  end process;

end architecture rtl;
